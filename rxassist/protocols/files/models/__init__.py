"""The objects of the service for files and vector stores."""

# ruff: noqa: F403 -- each module writes down its names

from rxassist.protocols.files.models.files import *
from rxassist.protocols.files.models.vector_stores import *
