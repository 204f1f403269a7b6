from tests.shards.conftest import folder, made

__all__ = ["folder", "made"]
