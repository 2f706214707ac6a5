"""The steps from one version of the schema to the next, one line for both databases."""

# The newest version in versions/. Kept here so that a current database costs no import of Alembic.
HEAD = "0001"
