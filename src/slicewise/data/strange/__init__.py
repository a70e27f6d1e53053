"""Pictures that are no brain MRI slice, or a spoilt one, to fit and to test refusals on."""
