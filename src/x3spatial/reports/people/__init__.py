"""Questions for people: the page that asks a task file."""
