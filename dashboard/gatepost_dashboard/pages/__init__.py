"""The pages: HTML made here, usable without JavaScript. A module of ``views`` for each kind of page.

``routing`` is around each of them: who is signed in, whether a change comes from our own pages, faults as
pages. ``rendering`` fills the templates in, which escape whatever is not ours. ``static`` are the files that
pages load; those of others are listed in ``static/VENDORED.md``.
"""

from gatepost_dashboard.pages.installing import install

__all__ = ["install"]
