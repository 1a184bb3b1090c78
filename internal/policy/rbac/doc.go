// Package rbac is the policy rbac: who of those that are known may pass. It
// decides by what the policy jwt has found out about the caller, and runs
// behind it. Every rule that is written has to hold:
//
//   - min_role: the caller has this role, or one that also is it, by its level
//     or by what it includes (see roles);
//   - any_role: the same for any of several;
//   - exact_role: the caller has one of these very roles, and none above helps;
//   - self_or_min_role: the path names the caller, or the caller has a role;
//   - tenant: the path names the caller's tenant;
//   - permissions and scopes: the caller's token grants all_of these, and
//     any_of those.
//
// A caller may have several roles; it is enough that one of them passes. A role
// of a caller that is not configured passes nothing. A role that is named here
// and not configured, a misspelt one for example, does not load.
//
//	policies:
//	  rbac:
//	    min_role: technician
//	    self_or_min_role:
//	      param: id
//	      min_role: tenant_admin
//	    tenant:
//	      param: tenantId
//	      any_tenant: system_admin
//	    permissions:
//	      all_of: tickets.read
//	      any_of: [tickets.write, tickets.close]
//	    scopes:
//	      all_of: [tickets]
//	    mode: enforce
package rbac
