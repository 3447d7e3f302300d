// Answers one page of a login: { state, origins, username, password, fields, ms }; comes back once the page has changed.
const { state, origins, username, password, fields, ms } = input;
mustBeOwn(origins);

const button = () => seen('#idSIButton9') ?? seen('input[type=submit], button[type=submit]');
const before = document.body.innerText;
const act = async () => {
  switch (state) {
    case 'account':
      write(await until(() => seen('#i0116, input[name=loginfmt]'), ms, 'no field for the account'), username);
      click(await until(button, ms, 'no button to go on'));
      break;
    case 'password':
      write(await until(() => seen('#i0118, input[name=passwd][type=password]'), ms, 'no field for the password'), password);
      click(await until(button, ms, 'no button to sign in'));
      break;
    case 'stay':
      click(await until(button, ms, 'no button to stay signed in'));
      break;
    case 'picker': {
      const tiles = [...document.querySelectorAll('[data-test-id], .tile, .table[role=button]')].filter(isSeen);
      // as a whole: a colleague's address may end like ours
      const is = (text) => (text ?? '').trim().toLowerCase() === username.toLowerCase();
      const mine = tiles.find((tile) => is(tile.dataset.testId))
        ?? tiles.find((tile) => tile.innerText.split(/\s+/).some(is));
      click(mine ?? seen('#otherTile') ?? byText('Use another account').find(isSeen)
        ?? await until(() => null, 0, 'an account picker without the account and without another one'));
      break;
    }
    case 'form':
      write(await until(() => seen(fields.username), ms, `no field ${fields.username}`), username);
      write(await until(() => seen(fields.password), ms, `no field ${fields.password}`), password);
      click(await until(() => seen(fields.submit), ms, `no button ${fields.submit}`));
      break;
  }
};
await act();
// answered twice, a slow page would count as two tries
await until(() => document.body.innerText !== before || document.readyState === 'loading', ms, `the page ${state} of the login did not answer`);
return null;
