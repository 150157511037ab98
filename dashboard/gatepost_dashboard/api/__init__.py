"""The API, version 1: a module for each kind of objects, each with a router."""

from fastapi import APIRouter

router = APIRouter()

__all__ = ["router"]
