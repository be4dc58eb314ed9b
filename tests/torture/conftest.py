"""The campaigns use the drops and the reference run of the integration tests."""

from tests.integration.conftest import first_drop, second_drop, two_drops

__all__ = ["first_drop", "second_drop", "two_drops"]
