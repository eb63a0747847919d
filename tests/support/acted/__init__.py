"""CUDA acted on the CPU: tensors that know their device, streams, graphs and memory.

`cuda.acted(cards)` replaces what `torch.cuda` offers for the length of a block. A tensor "on
cuda:n" is a `tensors.GpuTensor`: a wrapper around a tensor of the CPU that knows its device. So all
numbers are real, and everything else is held against the rules of CUDA: what is on two devices does
not meet, the host waits where CUDA makes it wait, two streams do not touch the same memory unless
something orders them, and a graph that is captured forbids what CUDA forbids.

What is not acted: time, kernels that are wrong on a GPU alone, and the bits in which a GPU's sums
differ from the CPU's.
"""
