"""What processes say to each other: the hub in the Dask scheduler, the comms of its peers, and what they may carry."""
