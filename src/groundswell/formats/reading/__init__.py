"""From somebody's file to a workload, block by block, whatever the file's format and size."""

from groundswell.formats.reading.opening import read
from groundswell.formats.reading.order import OutOfOrderError
from groundswell.formats.reading.outcome import BadRows, Reading
from groundswell.formats.reading.trace import Trace, in_order

__all__ = ["BadRows", "OutOfOrderError", "Reading", "Trace", "in_order", "read"]
