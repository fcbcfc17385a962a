"""A small Django project that sends texts as its users would write it well; peers of Volens."""
