package apidocs

// Valid lets tests of the whole gateway hold a document against the official schemas.
var Valid = valid
