"""What every test needs."""

# Without this import the test plugin's own folder `custom_components` would hide ours.
import custom_components.whatsminer  # noqa: F401

# These run in a browser, in a process of their own: scripts/test --e2e.
collect_ignore = ["e2e"]
