"""What an application says about the indexes of a collection: the objects, and their JSON form."""
