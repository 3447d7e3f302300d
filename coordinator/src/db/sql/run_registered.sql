SELECT EXISTS (SELECT FROM nstore.targets WHERE target = $1)
   AND EXISTS (SELECT FROM nstore.runs WHERE run = $2)
