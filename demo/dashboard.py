"""Skylapse's own dashboard in the side bar, as somebody adds it who has just set Skylapse up."""

from .home_assistant import HomeAssistant

PATH = "demo-skylapse"
CONFIG = {"strategy": {"type": "custom:skylapse"}}


async def make_dashboard(house: HomeAssistant) -> str:
    """Make the dashboard and answer its path; it shows whatever cameras there are when it is opened."""
    await house.ask(
        "lovelace/dashboards/create",
        url_path=PATH,
        title="Skylapse",
        icon="mdi:weather-sunset",
        require_admin=False,
        show_in_sidebar=True,
        mode="storage",
    )
    await house.ask("lovelace/config/save", url_path=PATH, config=CONFIG)
    return f"/{PATH}"
