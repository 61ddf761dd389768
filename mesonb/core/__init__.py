"""The pure core: a call goes in, events come out; time and chance are arguments.

Standard library only: no clock, thread, input or output, Dask or widget. Read in this order: resources, calls,
events, records, master, allocator.
"""
