package lint

// rules are what is looked for. The structure comes first: what is wrong there explains the
// rest.
func rules() []rule {
	return []rule{
		{Rule{structure, Error, "what the official schema of OpenAPI refuses: unknown keys, missing keys, values of a wrong type", "see the specification of OpenAPI"}, checkStructure, nothing},
		{Rule{Reference, Error, "references that lead nowhere, or to another part than the one that belongs there", "write it as #/components/..."}, checkReferences, resolving},
		{Rule{"schema", Error, "schemas that can't be compiled, so that nothing could be checked by them", "see JSON Schema 2020-12 for what the keyword takes"}, checkSchemas, resolving},
		{Rule{"info-empty", Error, "an empty title or version", "write what readers will know the document by"}, checkInfo, nothing},
		{Rule{"link", Warning, "addresses of pages for people that are no URLs", "write it as https://example.com/page, or with / or ./ at its start"}, checkLinks, nothing},
		{Rule{"operation-id-duplicate", Error, "operations of the same operationId", "give each its own: generators make function names of them"}, checkDuplicateIDs, nothing},
		{Rule{"operation-id-missing", Warning, "operations without an operationId", "add one: generators make function names of them"}, checkMissingIDs, nothing},
		{Rule{"path-parameter-undeclared", Error, "parameters in a path that nothing describes", "add it to parameters with in: path and required: true"}, checkUndeclared, resolving},
		{Rule{"path-parameter-unknown", Error, "path parameters that are not in the path", "take it out, or write it into the path, in braces"}, checkUnknownInPath, resolving},
		{Rule{"path-parameter-optional", Error, "path parameters without required: true", "write required: true, a path can't do without them"}, checkOptionalInPath, nothing},
		{Rule{"parameter-duplicate", Error, "two parameters of the same name and place in one list", "take one out"}, checkDuplicateParameters, resolving},
		{Rule{"path-ambiguous", Error, "two paths that match the same requests", "join them: which of them answers is not known"}, checkAmbiguous, nothing},
		{Rule{"path-case", Warning, "two paths that differ only in upper and lower case", "spell them alike: people will mistake one for the other"}, checkCase, nothing},
		{Rule{"path-query", Error, "a path with a query or fragment in it", "describe the query as parameters with in: query"}, checkQueryInPath, nothing},
		{Rule{"path-slash", Error, "paths that do not begin with a slash", "write it with / at its start"}, checkSlash, nothing},
		{Rule{"success-missing", Warning, "operations without an answer of 2xx or 3xx", "describe what callers get when all goes well"}, checkSuccess, nothing},
		{Rule{"body-unexpected", Warning, "GET, HEAD or DELETE with a required body", "use parameters, or POST: many clients and proxies drop such a body"}, checkBodies, resolving},
		{Rule{"security-undefined", Error, "security schemes that are used and not defined", "define it in components.securitySchemes"}, checkSecurity, nothing},
		{Rule{"tag-undeclared", Warning, "tags that are used and not in the document's list of tags", "add it to tags, with a description"}, checkTags, nothing},
		{Rule{"summary-missing", Warning, "operations without summary and description", "say in a few words what it does"}, checkSummaries, nothing},
		{Rule{"servers", Warning, "a document without servers, or with those of one's own machine", "name the address under which callers reach the API"}, checkServers, nothing},
		{Rule{"server-url", Error, "servers whose URL is none, or has variables that are not described", "write it as https://api.example.com/v1"}, checkServerURLs, nothing},
		{Rule{"component-unused", Warning, "components that nothing refers to", "take it out, or refer to it"}, checkUnused, resolving},
		{Rule{"example", Error, "examples that do not fit their schema", "people and mocks will use it: make it fit"}, checkExamples, following},
		{Rule{"default", Error, "defaults that do not fit their schema", "make it fit"}, checkDefaults, following},
		{Rule{"required-unknown", Error, "required properties of a schema that allows none of that name", "describe it in properties, or take it out of required"}, checkRequired, nothing},
		{Rule{"required-undescribed", Warning, "required properties that a schema allows, but does not describe", "describe it in properties, or is it misspelt?"}, checkUndescribed, following},
		{Rule{"bounds", Error, "a least value, length or number above the most", "exchange them, or take one out"}, checkBounds, nothing},
		{Rule{"enum-duplicate", Error, "a value that is twice in an enum", "take one out"}, checkEnumDuplicates, nothing},
		{Rule{"enum-type", Error, "values of an enum that are not of the schema's type", "write it in the type of the schema; quote what YAML takes for a number or boolean"}, checkEnumTypes, nothing},
		{Rule{"array-items", Error, "arrays without items, which OpenAPI 3.0 wants", "add items: {} if anything may be in it"}, checkItems, nothing},
		{Rule{"discriminator", Error, "a discriminator whose property is not described or not required", "describe it in properties and name it in required"}, checkDiscriminators, following},
		{Rule{"pattern", Warning, "regular expressions that RE2 does not know, such as those that look ahead or back", "write it without: the gateway does not check it as it is"}, checkPatterns, nothing},
		{Rule{"schema-keyword", Warning, "keywords of a schema that look like a slip of the keyboard", "unknown keywords are ignored"}, checkKeywords, nothing},
	}
}
