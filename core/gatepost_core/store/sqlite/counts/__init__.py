"""What limits count, who submitted what, and from where, in SQLite files of their own: see ``domain.limits``.

``counters`` counts, ``taking`` and ``counting`` have the statements and ``counterfile`` the file;
``recounting`` reads the journal when that was lost, ``returning`` gives back what was not queued.
``submissions`` keeps claims, ``claiming`` has their statements, and ``fates`` reads what became of such
messages. ``places`` keeps where credentials have sent from, ``placing`` has its statements.
"""
