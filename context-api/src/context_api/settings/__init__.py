"""Settings of the hub."""

from context_api.settings.model import Settings, load
from context_api.settings.places import SettingsError

__all__ = ["Settings", "SettingsError", "load"]
