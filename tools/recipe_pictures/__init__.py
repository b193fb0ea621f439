"""Makes the pictures of docs/recipes.md: what each step of a recipe does, before and after."""
