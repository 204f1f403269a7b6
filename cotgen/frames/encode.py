"""The one encoder of stored pictures, and the hash of pixels.

Pillow writes baseline JPEG with 4:2:0 chroma and no metadata, so equal pixels are equal bytes for one version of
Pillow and its JPEG library; `encoder_version` names both and stands in the manifest.
"""

from __future__ import annotations

import hashlib
import io

import numpy as np
import numpy.typing as npt
import PIL
from PIL import Image, features

#: Quality of stored frames on libjpeg's scale of 1 to 100.
QUALITY = 90


def encode(rgb: npt.NDArray[np.uint8], quality: int = QUALITY) -> bytes:
    """A JPEG of an RGB picture (uint8, height x width x 3)."""
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, "JPEG", quality=quality, subsampling="4:2:0")
    return out.getvalue()


def pixels_sha256(rgb: npt.NDArray[np.uint8]) -> str:
    """sha256, in hex, of `WIDTHxHEIGHT` in ASCII, a line feed, and the RGB bytes row by row from the top left."""
    height, width = rgb.shape[:2]
    digest = hashlib.sha256(f"{width}x{height}\n".encode())
    digest.update(np.ascontiguousarray(rgb).data)
    return digest.hexdigest()


def encoder_version() -> str:
    """What the bytes of a stored JPEG depend on besides its pixels and quality."""
    library = "libjpeg-turbo" if features.check_feature("libjpeg_turbo") else "libjpeg"
    version = features.version_feature("libjpeg_turbo") or features.version_codec("jpg")
    return f"Pillow {PIL.__version__}, {library} {version}, 4:2:0"
