"""Pictures with few colors, which make small files, as a repository can hold them: `python shrink.py FILE.png…`."""

import sys

from PIL import Image

for path in sys.argv[1:]:
    Image.open(path).convert("RGB").quantize(48).save(path, optimize=True)
