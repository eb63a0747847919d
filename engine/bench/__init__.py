"""What this machine does with a preset: rates against plain loops and the machine's own limits.

Every preset is measured in a process of its own (`__main__`), started by `suite`. `measures`
holds what is found; neither of the two imports torch.
"""
