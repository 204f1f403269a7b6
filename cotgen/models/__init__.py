"""Models behind an OpenAI-compatible server: requests, their client and cache, pictures for them, and a stub server."""
