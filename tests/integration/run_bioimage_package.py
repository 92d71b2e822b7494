"""Loads a package of bioimage.io, checks it against the specification, and runs it on its own test picture."""

import sys

from bioimageio.core import test_model

summary = test_model(sys.argv[1], weight_format="onnx")
print(summary.status)
if summary.status != "passed":
    print(summary.format(), file=sys.stderr)
