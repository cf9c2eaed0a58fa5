// Stands in for gloo's: see ../context.h.
#pragma once
