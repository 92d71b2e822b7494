"""Runs a notebook in a kernel of Jupyter: `run_notebook.py IN OUT`; what a cell prints or raises is in OUT."""

import pathlib
import sys

import nbformat
from nbclient import NotebookClient

source, target = map(pathlib.Path, sys.argv[1:3])
notebook = nbformat.read(source, as_version=4)
client = NotebookClient(notebook, timeout=None, allow_errors=True, resources={"metadata": {"path": str(source.parent)}})
client.execute()
nbformat.write(notebook, target)
