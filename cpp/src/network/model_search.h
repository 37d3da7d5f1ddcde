// Where model files lie on this machine: found by name, by id or by path.
#pragma once

#include <memory>
#include <string>

#include "network/model.h"

namespace bsq {

// The model that `which` names: a path (ends in .bsqm, has a separator, or is a file), the name in
// the model file, or its id in hexadecimal, of which the first 8 digits or more are enough where
// they fit one model. Empty: what the environment variable BSQAV_MODEL names, else the id in the
// first file default.txt of the folders.
//
// Folders, in this order: those of the environment variable BSQAV_MODEL_PATH, the user's
// ($XDG_DATA_HOME/bsqav/models, ~/.local/share/bsqav/models without it), `folders`. Lists have the
// separator of PATH. The package bsqav.codec.models searches in the same way.
//
// Throws Error with BSQ_ERROR_MODEL_MISSING (the message says where it was looked for),
// BSQ_ERROR_MODEL (the file found is damaged) or BSQ_ERROR_ARGUMENT (several ids begin so).
std::shared_ptr<const Model> find_model(const std::string& which, const std::string& folders);

}  // namespace bsq
