"""The palettes of CARTO, which Fused's map styles name: CARTOColors by CARTO, https://carto.com/carto-colors.

They are under the licence CC BY 3.0. The colours are those of the package palettable 3.3.3: the longest palette of each
name, of the qualitative ones with the colour for all others as the last.
"""

from __future__ import annotations

from typing import Final

RAMPS: Final = {
    # sequential
    "burg": "ffc6c4 f4a3a8 e38191 cc607d ad466c 8b3058 672044",
    "burgyl": "fbe6c5 f5ba98 ee8a82 dc7176 c8586c 9c3f5d 70284a",
    "redor": "f6d2a9 f5b78e f19c7c ea8171 dd686c ca5268 b13f64",
    "oryel": "ecda9a efc47e f3ad6a f7945d f97b57 f66356 ee4d5a",
    "peach": "fde0c5 facba6 f8b58b f59e72 f2855d ef6a4c eb4a40",
    "pinkyl": "fef6b5 ffdd9a ffc285 ffa679 fa8a76 f16d7a e15383",
    "mint": "e4f1e1 b4d9cc 89c0b6 63a6a0 448c8a 287274 0d585f",
    "blugrn": "c4e6c3 96d2a4 6dbc90 4da284 36877a 266b6e 1d4f60",
    "darkmint": "d2fbd4 a5dbc2 7bbcb0 559c9e 3a7c89 235d72 123f5a",
    "emrld": "d3f2a3 97e196 6cc08b 4c9b82 217a79 105965 074050",
    "ag_grnyl": "245668 0f7279 0d8f81 39ab7e 6ec574 a9dc67 edef5d",
    "bluyl": "f7feae b7e6a5 7ccba2 46aea0 089099 00718b 045275",
    "teal": "d1eeea a8dbd9 85c4c9 68abb8 4f90a6 3b738f 2a5674",
    "tealgrn": "b0f2bc 89e8ac 67dba5 4cc8a3 38b2a3 2c98a0 257d98",
    "purp": "f3e0f7 e4c7f1 d1afe8 b998dd 9f82ce 826dba 63589f",
    "purpor": "f9ddda f2b9c4 e597b9 ce78b3 ad5fad 834ba0 573b88",
    "sunset": "f3e79b fac484 f8a07e eb7f86 ce6693 a059a0 5c53a5",
    "magenta": "f3cbd3 eaa9bd dd88ac ca699d b14d8e 91357d 6c2167",
    "sunsetdark": "fcde9c faa476 f0746e e34f6f dc3977 b9257a 7c1d6f",
    "ag_sunset": "4b2991 872ca2 c0369d ea4f88 fa7876 f6a97a edd9a3",
    "brwnyl": "ede5cf e0c2a2 d39c83 c1766f a65461 813753 541f3f",
    # diverging
    "armyrose": "798234 a3ad62 d0d3a2 fdfbe4 f0c6c3 df91a3 d46780",
    "fall": "3d5941 778868 b5b991 f6edbd edbb8a de8a5a ca562c",
    "geyser": "008080 70a494 b4c8a8 f6edbd edbb8a de8a5a ca562c",
    "temps": "009392 39b185 9ccb86 e9e29c eeb479 e88471 cf597e",
    "tealrose": "009392 72aaa1 b1c7b3 f1eac8 e5b9ad d98994 d0587e",
    "tropic": "009b9e 42b7b9 a7d3d4 f1f1f1 e4c1d9 d691c1 c75dab",
    "earth": "a16928 bd925a d6bd8d edeac2 b5c8b8 79a7ac 2887a1",
}
"""From the least value to the greatest."""

CLASSES: Final = {
    "antique": "855c75 d9af6b af6458 736f4c 526a83 625377 68855c 9c9c5e a06177 8c785d 7c7c7c",
    "bold": "7f3c8d 11a579 3969ac f2b701 e73f74 80ba5a e68310 008695 cf1c90 f97b72 a5aa99",
    "pastel": "66c5cc f6cf71 f89c74 dcb0f2 87c55f 9eb9f3 fe88b1 c9db74 8be0a4 b497e7 b3b3b3",
    "prism": "5f4690 1d6996 38a6a5 0f8554 73af48 edad08 e17c05 cc503e 94346e 6f4070 666666",
    "safe": "88ccee cc6677 ddcc77 117733 332288 aa4499 44aa99 999933 882255 661100 888888",
    "vivid": "e58606 5d69b1 52bca3 99c945 cc61b0 24796c daa51b 2f8ac4 764e9f ed645a a5aa99",
}
"""Of equal weight, without an order."""
