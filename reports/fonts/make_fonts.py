"""Makes the font files of this folder from their published packages.

A tool for the rare day on which a font is renewed; it is not run at set-up. It takes the
archive of the npm package `inter-ui` and the unpacked Debian package `fonts-noto-cjk`.
"""

import io
import sys
import tarfile
from pathlib import Path

from fontTools import subset  # type: ignore[import-untyped]
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

HERE = Path(__file__).parent
INTER_FACES = ("Regular", "Medium", "SemiBold")
SIMPLIFIED_CHINESE = 2
"""The place of the SC family in the Noto CJK collections."""


def make_inter(archive: Path) -> None:
    """Static TrueType faces out of the web faces, glyph for glyph, with the licence."""
    with tarfile.open(archive) as package:
        for face in INTER_FACES:
            font = TTFont(io.BytesIO(_member(package, f"package/web/Inter-{face}.woff2")))
            font.flavor = None
            font.save(HERE / f"Inter-{face}.ttf")
        (HERE / "Inter-LICENSE.txt").write_bytes(_member(package, "package/LICENSE.txt"))


def make_cjk(collections: Path) -> None:
    """Regular with all of GBK and JIS X 0208; Bold with the common characters of each.

    Spaces too: one between two characters of this face is set in this face.
    """
    kana_and_wide = {0x20, 0xA0, *range(0x3000, 0x3130), *range(0xFF00, 0xFFF0)}
    wide = _characters("gbk", 0x81, 0xFF) | _characters("euc_jp", 0xA1, 0xF5)
    common = (
        _characters("gb2312", 0xA1, 0xF8)
        | _characters("big5", 0xA1, 0xC7)
        | _characters("euc_jp", 0xA1, 0xD0)
    )
    for face, characters in (("Regular", wide), ("Bold", common)):
        font = TTFont(collections / f"NotoSansCJK-{face}.ttc", fontNumber=SIMPLIFIED_CHINESE)
        options = subset.Options()
        options.layout_features = ["kern", "palt"]
        options.hinting = False
        options.notdef_outline = True
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=characters | kana_and_wide)
        subsetter.subset(font)
        font.save(HERE / f"NotoSansCJKsc-{face}-subset.otf")


def _member(package: tarfile.TarFile, name: str) -> bytes:
    member = package.extractfile(name)
    if member is None:
        raise FileNotFoundError(f"{name} is not a file of the archive; is it inter-ui 4.1.1?")
    return member.read()


def _characters(encoding: str, first: int, end: int) -> set[int]:
    """The code points of a two-byte encoding whose lead byte is in [first, end)."""
    pairs = (bytes([lead, trail]) for lead in range(first, end) for trail in range(0x40, 0xFF))
    texts = (pair.decode(encoding, errors="ignore") for pair in pairs)
    return {ord(text) for text in texts if len(text) == 1}


if __name__ == "__main__":
    make_inter(Path(sys.argv[1]))
    make_cjk(Path(sys.argv[2]))
