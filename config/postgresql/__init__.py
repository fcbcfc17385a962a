"""PostgreSQL as Django knows it, but that a kept connection is looked at and not asked."""
