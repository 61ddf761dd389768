"""``mesonb transcript FILE...``: run scenario files, print them with their answers, compare, or write them back."""

import argparse

from mesonb import transcripts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments; the grammar of the files stands in docs/transcripts.md."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="a scenario file (its grammar: docs/transcripts.md)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--expect",
        action="store_true",
        help="compare with the recorded answers; exit code 1 and a diff where they differ",
    )
    what.add_argument("--rewrite", action="store_true", help="write the answers into the files")


def run(args: argparse.Namespace) -> int:
    """Run the files."""
    return transcripts.main(args.files, expect=args.expect, rewrite=args.rewrite)
