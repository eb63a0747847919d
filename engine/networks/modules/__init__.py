"""The networks' modules, the only part of `engine.networks` that imports torch.

A kind of network imports its module from here when one is built (`NetworkKeys.build`), so that
presets are read and described without torch.
"""
