package lint

// rules are what is looked for. The structure comes first: what is wrong there explains the
// rest.
func rules() []rule {
	return []rule{
		{Rule{"structure", Error, "what the official schema of OpenAPI refuses: unknown keys, missing keys, values of a wrong type", "see the specification of OpenAPI"}, checkStructure},
		{Rule{"reference", Error, "references that lead nowhere, or to another part than the one that belongs there", "write it as #/components/..."}, checkReferences},
		{Rule{"schema", Error, "schemas that can't be compiled, so that nothing could be checked by them", "see JSON Schema 2020-12 for what the keyword takes"}, checkSchemas},
		{Rule{"info-empty", Error, "an empty title or version", "write what readers will know the document by"}, checkInfo},
		{Rule{"operation-id-duplicate", Error, "operations of the same operationId", "give each its own: generators make function names of them"}, checkDuplicateIDs},
		{Rule{"operation-id-missing", Warning, "operations without an operationId", "add one: generators make function names of them"}, checkMissingIDs},
		{Rule{"path-parameter-undeclared", Error, "parameters in a path that nothing describes", "add it to parameters with in: path and required: true"}, checkUndeclared},
		{Rule{"path-parameter-unknown", Error, "path parameters that are not in the path", "take it out, or write {it} into the path"}, checkUnknownInPath},
		{Rule{"path-parameter-optional", Error, "path parameters without required: true", "write required: true, a path can't do without them"}, checkOptionalInPath},
		{Rule{"parameter-duplicate", Error, "two parameters of the same name and place in one list", "take one out"}, checkDuplicateParameters},
		{Rule{"path-ambiguous", Error, "two paths that match the same requests", "join them: which of them answers is not known"}, checkAmbiguous},
		{Rule{"path-case", Warning, "two paths that differ only in upper and lower case", "spell them alike: people will mistake one for the other"}, checkCase},
		{Rule{"path-query", Error, "a path with a query or fragment in it", "describe the query as parameters with in: query"}, checkQueryInPath},
		{Rule{"success-missing", Warning, "operations without an answer of 2xx or 3xx", "describe what callers get when all goes well"}, checkSuccess},
		{Rule{"body-unexpected", Warning, "GET, HEAD or DELETE with a required body", "use parameters, or POST: many clients and proxies drop such a body"}, checkBodies},
		{Rule{"security-undefined", Error, "security schemes that are used and not defined", "define it in components.securitySchemes"}, checkSecurity},
		{Rule{"tag-undeclared", Warning, "tags that are used and not in the document's list of tags", "add it to tags, with a description"}, checkTags},
		{Rule{"summary-missing", Warning, "operations without summary and description", "say in a few words what it does"}, checkSummaries},
		{Rule{"servers", Warning, "a document without servers, or with those of one's own machine", "name the address under which callers reach the API"}, checkServers},
		{Rule{"component-unused", Warning, "components that nothing refers to", "take it out, or refer to it"}, checkUnused},
		{Rule{"example", Error, "examples that do not fit their schema", "people and mocks will use it: make it fit"}, checkExamples},
		{Rule{"default", Error, "defaults that do not fit their schema", "make it fit"}, checkDefaults},
		{Rule{"required-unknown", Error, "required properties of a schema that allows none of that name", "describe it in properties, or take it out of required"}, checkRequired},
		{Rule{"enum-duplicate", Error, "a value that is twice in an enum", "take one out"}, checkEnumDuplicates},
		{Rule{"enum-type", Error, "values of an enum that are not of the schema's type", "write it in the type of the schema; quote what YAML takes for a number or boolean"}, checkEnumTypes},
		{Rule{"array-items", Error, "arrays without items, which OpenAPI 3.0 wants", "add items: {} if anything may be in it"}, checkItems},
		{Rule{"discriminator", Error, "a discriminator whose property is not described or not required", "describe it in properties and name it in required"}, checkDiscriminators},
		{Rule{"pattern", Warning, "regular expressions that RE2 does not know, such as those that look ahead or back", "write it without: the gateway does not check it as it is"}, checkPatterns},
		{Rule{"schema-keyword", Warning, "keywords of a schema that look like a slip of the keyboard", "unknown keywords are ignored"}, checkKeywords},
	}
}
