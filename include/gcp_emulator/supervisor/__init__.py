"""The small process that starts one container, watches its memory and ends its whole process tree.

It stands apart from the rest of the emulator (it imports nothing of it) because it must be light: one runs for
each container. It ends with the emulator, however that ends, and takes the container with it.
"""
