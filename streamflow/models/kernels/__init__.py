"""Kernels: River estimators over arrays, one file each. Each gives River's numbers, bit for bit."""
