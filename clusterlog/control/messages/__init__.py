"""What nodes say to each other: events and questions of one functionality, heard by its subscribers elsewhere."""
