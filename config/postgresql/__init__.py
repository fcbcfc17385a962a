"""PostgreSQL as Django knows it, but that a kept connection is not asked at every request."""
