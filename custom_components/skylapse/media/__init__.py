"""The rooms of the media source: what lies in its folders, and where each thing is fetched from."""
