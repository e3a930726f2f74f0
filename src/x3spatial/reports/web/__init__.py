"""Results and data roots as web pages: the data of the page, its files, and a server for runs that go on."""
