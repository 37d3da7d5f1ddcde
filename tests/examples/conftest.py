"""The frozen test model for everything that codes BSQ in these tests."""

from tests.tiny import model_file, only_test_model

__all__ = ["model_file", "only_test_model"]
