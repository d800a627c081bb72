#include "model/import/foreign.h"

#include <string.h>

#define RESAVE_XGBOOST "an old binary file of XGBoost; load it with XGBoost 1.x or 2.x and save it again as json or ubj: save_model(\"model.ubj\")"

static const struct {
    const char *magic;
    size_t len;
    const char *message;
} known[] = {
    {"binf", 4, RESAVE_XGBOOST},
    {"bs64", 4, RESAVE_XGBOOST},
    {"CBM1", 4, "a binary model of CatBoost; save it again as JSON: save_model(\"model.json\", format=\"json\")"},
    {"\x80\x02", 2, "a Python pickle, which runs code when it is opened; save the model itself (XGBoost save_model, LightGBM save_model, "
                    "scikit-learn to ONNX with skl2onnx)"},
    {"\x80\x03", 2, "a Python pickle, which runs code when it is opened; save the model itself (XGBoost save_model, LightGBM save_model, "
                    "scikit-learn to ONNX with skl2onnx)"},
    {"\x80\x04", 2, "a Python pickle, which runs code when it is opened; save the model itself (XGBoost save_model, LightGBM save_model, "
                    "scikit-learn to ONNX with skl2onnx)"},
    {"\x80\x05", 2, "a Python pickle, which runs code when it is opened; save the model itself (XGBoost save_model, LightGBM save_model, "
                    "scikit-learn to ONNX with skl2onnx)"},
    {"PK\x03\x04", 4, "a ZIP archive (PyTorch .pt, Keras .keras and H2O MOJO are such); export the model to ONNX, or unpack it"},
    {"\x1f\x8b", 2, "compressed with gzip; unpack it first"},
    {"\xfd" "7zXZ", 5, "compressed with xz; unpack it first"},
    {"\x28\xb5\x2f\xfd", 4, "compressed with zstd; unpack it first"},
    {"\x89HDF", 4, "an HDF5 file (Keras .h5); export the model to ONNX"},
    {"\x89PNG", 4, "a PNG picture, not a model"},
    {"<?xml", 5, "XML (PMML?), which is not supported; save the model in its library's own format"},
    {"<PMML", 5, "PMML, which is not supported; save the model in its library's own format"},
    {"booster[", 8, "a text dump of XGBoost, which is for reading and loses digits; use save_model(\"model.ubj\")"},
};

/* XGBoost before 1.0 wrote no magic: its parameters as they lay in memory (136 bytes, mostly 0), then the names of the
 * objective and the booster, each after its length as 64 bits. */
static bool is_bare_xgboost(const struct import_file *file)
{
    enum { PARAMETERS = 136, LENGTH = 8 };
    uint64_t len;
    if (file->len < PARAMETERS + LENGTH + 16)
        return false;
    memcpy(&len, file->data + PARAMETERS, sizeof len);
    if (len == 0 || len > 64 || PARAMETERS + LENGTH + len > file->len)
        return false;
    const char *name = file->data + PARAMETERS + LENGTH;
    for (uint64_t i = 0; i < len; i++) {
        if (!(name[i] >= 'a' && name[i] <= 'z') && name[i] != ':' && name[i] != '_')
            return false;
    }
    return true;
}

static char first_visible(const struct import_file *file)
{
    for (size_t i = 0; i < file->len; i++) {
        if (!strchr(" \t\r\n", file->data[i]))
            return file->data[i];
    }
    return '\0';
}

enum status foreign_refuse(const struct import_file *file, struct error *err)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (file->len >= known[i].len && memcmp(file->data, known[i].magic, known[i].len) == 0)
            return error_set(err, STATUS_UNSUPPORTED, "%s: %s", file->path, known[i].message);
    }
    if (is_bare_xgboost(file))
        return error_set(err, STATUS_UNSUPPORTED, "%s: %s", file->path, RESAVE_XGBOOST);
    char first = first_visible(file);
    if (first == '{' || first == '[')
        return error_set(err, STATUS_INVALID,
                         "%s: JSON, but not a model of XGBoost or CatBoost (dumps are for reading; use save_model)", file->path);
    return error_set(err, STATUS_INVALID,
                     "%s: not a known model file; XGBoost .json and .ubj, LightGBM .txt, ONNX and CatBoost .json are", file->path);
}
