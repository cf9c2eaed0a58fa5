"""Prints, one per line, the requirements of the installed torch that bring CUDA libraries.

Only these are installed beside torch: its pure-Python requirements serve the Python package, of which
Minima uses nothing.
"""
from importlib.metadata import requires


def cuda_requirements(all_requirements: list[str]) -> list[str]:
    return [line for line in all_requirements if line.startswith(("nvidia-", "cuda-")) and "extra ==" not in line]


if __name__ == "__main__":
    print("\n".join(cuda_requirements(requires("torch") or [])))
