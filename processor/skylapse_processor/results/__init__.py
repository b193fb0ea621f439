"""Still results beside the films: keograms, star trails, best frames, and what a sunset is worth.

Reading order: ledger (what is durable), keogram, year, startrail, sunset, best (pure), keeper (who obeys).
The catalogue of frames is the truth. Everything here can be made again of stored frames, in any order,
and a frame that is taken in twice changes nothing.
"""
