"""What every test needs."""

# Without this import the test plugin's own folder `custom_components` would hide ours.
import custom_components.whatsminer  # noqa: F401
