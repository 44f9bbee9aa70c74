"""Size and depth of a compressed picture, by its own header, before anything is decoded.

A container (DICOM, JP2) may claim less than its codestream says, and a decoder believes the latter.
"""

import struct
from dataclasses import dataclass

_JPEG_2000, _SIZ = b"\xff\x4f", b"\xff\x51"  # start of a codestream, its first segment
_NOT_FRAMES = {0xC4, 0xC8, 0xCC}  # tables and a reserved marker among those of JPEG's frames
_JPEG_LS_FRAME = 0xF7


@dataclass(frozen=True)
class Frame:
    width: int
    height: int
    num_components: int

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height


def jpeg_frame(stream: bytes) -> Frame:
    """Return what the frame header of a JPEG or JPEG-LS says; raise ValueError without one."""
    place = 2  # behind the marker of the start
    while stream[:2] == b"\xff\xd8" and len(stream) >= place + 10 and stream[place] == 0xFF:
        marker = stream[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
        elif marker == _JPEG_LS_FRAME or (0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES):
            height, width, num_components = struct.unpack_from(">HHB", stream, place + 5)
            return Frame(width, height, num_components)
        else:
            place += 2 + struct.unpack_from(">H", stream, place + 2)[0]
    raise ValueError("no frame header of a JPEG")


def jpeg2000_frame(stream: bytes, place: int = 0) -> Frame:
    """Return what the header of a JPEG 2000 codestream says; raise ValueError without one."""
    if stream[place : place + 4] != _JPEG_2000 + _SIZ or len(stream) < place + 42:
        raise ValueError("no header of a JPEG 2000 codestream")
    right, bottom, left, top = struct.unpack_from(">4I", stream, place + 8)
    (num_components,) = struct.unpack_from(">H", stream, place + 40)
    return Frame(right - left, bottom - top, num_components)


def jp2_frame(data: bytes) -> Frame:
    """Return the same of a JPEG 2000 file, in boxes (.jp2) or bare (.j2k)."""
    place = 0
    while data[place : place + 2] != _JPEG_2000:
        length, kind = struct.unpack_from(">I4s", data, place)
        content = place + 8
        if length == 1:  # the length follows in 64 bits
            (length,) = struct.unpack_from(">Q", data, content)
            content += 8
        if kind == b"jp2c":
            return jpeg2000_frame(data, content)
        if length < content - place:
            raise ValueError("no codestream in a JPEG 2000 file")
        place += length
    return jpeg2000_frame(data, place)
