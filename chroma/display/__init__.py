"""What people look at in notebooks: tables of clients, collections and results, `describe`, `plot`.

Nothing here changes data. The classes of the package import these modules in the methods that show something,
so none of them is loaded before.
"""
