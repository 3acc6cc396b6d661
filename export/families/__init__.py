"""The families that can be exported, one file each; a new family is a file here and a line in the list."""

from onnxrank.export.families import qwen3_reranker

FAMILIES = {family.name: family for family in (qwen3_reranker.FAMILY,)}
