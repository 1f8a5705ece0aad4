"""The dashboard's page: what it shows, as a value (`view`), and as a document that is readable without a script.

Each subject has its file: `headline`, `mode`, `accounts`, `orders`, `lane`, `gates`, `event_rows`. They make cells and
rows (`cell`), which `document` renders and `static/page.js` keeps up to date.
"""
