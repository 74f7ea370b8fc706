"""What sets a UDF's parameters on a map: read from signatures, or said by the user."""

from fused_jupyter.udfs.controls.control import Control, as_control, in_annotation
from fused_jupyter.udfs.controls.specs import ControlSpec, controls_of, starts_of
from fused_jupyter.udfs.controls.values import plain_params

__all__ = ["Control", "ControlSpec", "as_control", "controls_of", "in_annotation", "plain_params", "starts_of"]
