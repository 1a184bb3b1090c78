// Validates the files that are named, and prints what is wrong with each.
import { Validator } from '@seriousme/openapi-schema-validator';

let wrong = false;
for (const file of process.argv.slice(2)) {
  const { valid, errors } = await new Validator().validate(file);
  console.log(file, valid ? 'valid' : JSON.stringify(errors, null, 2));
  wrong ||= !valid;
}
process.exit(wrong ? 1 : 0);
